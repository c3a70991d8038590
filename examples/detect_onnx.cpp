// Detect objects with an exported model and ONNX Runtime alone.
//
//   g++ -std=c++17 -I $ORT/include examples/detect_onnx.cpp -L $ORT/lib -lonnxruntime -o detect_onnx
//   ./detect_onnx faster.onnx street.ppm 0.3      (an image of the model's size, or any with --dynamic; binary PPM)
#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

int main(int argc, char** argv) try {
    if (argc < 3) throw std::runtime_error("usage: detect_onnx MODEL.onnx IMAGE.ppm [THRESHOLD]");
    const float threshold = argc > 3 ? std::strtof(argv[3], nullptr) : 0.3f;
    std::ifstream file(argv[2], std::ios::binary);
    std::string magic;
    int64_t width = 0, height = 0, most = 0;
    if (!(file >> magic >> width >> height >> most) || magic != "P6" || most != 255)
        throw std::runtime_error(std::string(argv[2]) + " is no binary PPM of 8 bits");
    file.get();  // the one blank after the header
    std::vector<uint8_t> pixels(3 * width * height);
    if (!file.read(reinterpret_cast<char*>(pixels.data()), pixels.size())) throw std::runtime_error("the image is cut");

    Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "detect");
    Ort::Session session(env, argv[1], Ort::SessionOptions());
    const int64_t shape[] = {1, height, width, 3};
    Ort::Value images = Ort::Value::CreateTensor<uint8_t>(
        Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault), pixels.data(), pixels.size(), shape, 4);
    const char* inputs[] = {"images"};
    const char* outputs[] = {"boxes", "scores", "labels"};
    auto found = session.Run(Ort::RunOptions(), inputs, &images, 1, outputs, 3);
    const size_t count = found[1].GetTensorTypeAndShapeInfo().GetElementCount();
    const float* boxes = found[0].GetTensorData<float>();
    const float* scores = found[1].GetTensorData<float>();
    const int64_t* labels = found[2].GetTensorData<int64_t>();
    for (size_t i = 0; i < count; ++i)
        if (scores[i] >= threshold)
            std::printf("%lld %.4f %.2f %.2f %.2f %.2f\n", static_cast<long long>(labels[i]), scores[i], boxes[4 * i],
                        boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]);
} catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
}
